"""Ports of a die with an engine to the router and the link of one side."""

from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import NopSpec
from rtl.block import Bundle
from rtl.interface.flit import flit_stream
from rtl.interface.link_status import LINK_STATUS

__all__ = ["EngineSide"]


class EngineSide(Bundle):
    """What a die with an engine has on each side.

    Members
    -------
    i : In(stream), o : Out(stream)
        Flits from and to the router, see :class:`rtl.engine.engine.Engine`.
    replayed, error : In(1)
        The link of that side sends a flit again, or receives a frame with an error.
    status : In(LINK_STATUS)
        What that link says of itself.
    """

    def __init__(self, nop: NopSpec) -> None:
        super().__init__(
            {
                "i": In(flit_stream(nop)),
                "o": Out(flit_stream(nop)),
                "replayed": In(1),
                "error": In(1),
                "status": In(LINK_STATUS),
            },
            names={
                "i": "in",
                "o": "out",
                "replayed": "link_replayed",
                "error": "link_error",
                "status": "link_status",
            },
        )
