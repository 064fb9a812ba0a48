"""Numbers of the vector unit's operations in a VECTOR command, in the order of :mod:`chiplet.graph.vector_pass`."""

from enum import IntEnum

__all__ = ["FirstOp", "Function", "Reduction", "SecondOp", "Spread"]


class FirstOp(IntEnum):
    """op1, which joins a and b."""

    NONE = 0
    ADD = 1
    SUB = 2
    MUL = 3
    MAX = 4
    PICK = 5


class Function(IntEnum):
    """Function of the result of op1."""

    NONE = 0
    EXP = 1
    EXP2 = 2
    RECIP = 3
    RSQRT = 4
    LOG = 5


class SecondOp(IntEnum):
    """op2, which joins the function's result f and d."""

    NONE = 0
    ADD = 1
    SUB = 2
    MUL = 3
    RSUB = 4


class Reduction(IntEnum):
    """What is left of each row."""

    NONE = 0
    SUM = 1
    MAX = 2


class Spread(IntEnum):
    """How an operand covers the matrix."""

    VALUE = 0
    COLUMN = 1
    ROW = 2
    MATRIX = 3
