"""The rules of programs in ``docs/instruction_set.md``."""

from cosim.program.checker.die_checker import ORDERED_COMMANDS
from rtl.interface import isa

PROGRAM_RULES = f"""
## What a program must keep

The checker in `cosim/program/checker/` reads the symbolic commands of one die, or those of all dies of a package
together, and tells each violation in a line: the command, its unit, what, and what is allowed. `hecaton cosim gemm`,
`vector`, `collective` and `package` check their programs before they run. Code: an error of the hardware, by its name
in [counters.md](counters.md#errors); without one, the hardware goes on and the result is wrong, or depends on time.

| rule | checker | hardware |
|---|---|---|
| the die has the unit: VECTOR with bf16 operands, SEND and RECEIVE with an engine | yes | COMMAND |
| counts are at least 1, fields fit | `encode` | |
| at most {(1 << isa.COUNT_BITS) - 1} commands | yes | |
| LOAD and STORE stay in memory | yes | MEMORY |
| LOAD reads words that hold data; no STORE writes the program | yes | |
| LOAD, STORE, feeds, DRAIN and VECTOR stay in the scratchpad | yes | SCRATCHPAD |
| SEND and RECEIVE stay in the scratchpad | yes | |
| feeds, DRAIN and FEED_SUMS stay in their buffer | yes | BUFFER |
| GEMM stays in its buffers | yes | BUFFER for the bases only |
| `words` of a feed are those of `cols`; `lane` is below B; `pitch` is at least `rows` with several panels | yes | |
| `last_k` is at most R, `last_cols` at most C; no `cast` with int8 operands | yes | |
| VECTOR has operations that exist, writes something, and no word of an operand, unless in its place | yes | |
| SEND: at most `chunks` of its `own` | yes | |
| RECEIVE: at most `chunks` `forwarded`; `hand` or `join` with `add`; no `by_source` with `add` or `word_post` | yes | |
| SET names semaphores in its first places, waits for and posts none, and none that an earlier command uses | yes | |
| one unit waits on a semaphore; `row_wait` and `word_wait` are none that the command takes otherwise | yes | |
| no semaphore counts beyond {(1 << isa.SEMAPHORE_BITS) - 1}, however late the unit that takes it | yes | SEMAPHORE |
| the program ends, whatever the timing, with full queues and all dies together | yes | WATCHDOG |
| accesses of two units to the same word or address are in order, if one of them writes | yes | |
| what is read has been written | yes | |
| panels that add to the same sums right behind each other begin at the same accumulator address | yes | |
| a SEND reaches a die; chunks have the size that the RECEIVE says | yes | |
| chunks of several dies that meet at a receive unit or on a link do so in an order that matters to nobody | yes | |
| no die writes memory that another one uses | yes | |

How it is proven, and how far:

- *It ends.* Only one unit waits on a semaphore, and each takes its commands in order. So a step that can begin stays
  able to, every order of the steps ends in the same place, and one run without time stands for all. Queues are as short
  as `die.queue_depth` says, the network holds nothing but what fits the queue of a receive unit, and chunks pass whole.
- *Accesses are in order.* For each step the run has a clock: how many steps of every unit have ended for sure when it
  begins, by the order of its unit's commands and by the posts that it takes. Of a semaphore with several posters a post
  counts only if all others together could not have stood in for it. Two accesses are in order if one step has ended for
  sure when the other one begins. Steps are rows, panels, words or chunks, so rows that are handed over one by one are
  seen. Where that is not enough, what dies send each other is followed as well.
- *Places* are whole words and buffer addresses. Two units that use different bytes of a word, or different banks at an
  address, count as using the same place.
- *Chunks in an order.* Each send unit whose chunks meet others is held back before each of them. Nothing else may then
  arrive in its place, or stop where it has to pass.
- *Assumed*: a step touches its words between the semaphores that it takes and those that it posts, and what a STORE has
  posted a later LOAD reads.
- *Not proven*: that the program computes what it should, that each bank at an address holds data, that software posts
  only what it should, that memory answers.

A run checks the order of accesses for the first {ORDERED_COMMANDS} commands of a die, and all else for all commands;
tests check all. The time grows with the commands and with the words that they move.
"""
