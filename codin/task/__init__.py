"""A task is a numbered, append-only log: agents write to it, everything else reads from it."""

from codin.task._current import current_task
from codin.task._direct import converse
from codin.task._entry import ArtifactEntry, ChunkEntry, Entry, InputEntry, PrivateEntry, StatusEntry, decode_entry
from codin.task._fold import Fold
from codin.task._follower import Follower
from codin.task._guard import Decision, Guard, Handler
from codin.task._ledger import USAGE_KEY
from codin.task._limits import Limits
from codin.task._live import Subscription
from codin.task._log import Reader, TaskLog
from codin.task._manager import TaskManager
from codin.task._protocol import Claim, Commit, Lease, ListQuery, Owner, Page, Stored, TaskStore
from codin.task._push_cursors import dead_letters, revive_dead_letters
from codin.task._push_policy import PushPolicy
from codin.task._push_request import DeadLetter, OldPushConfig, PushRequest
from codin.task._resolver import Resolver
from codin.task._response import AgentResponse, NeedAuth, NeedInput, Outcome, Reject
from codin.task._run import LimitReached, ResumeMismatch
from codin.task._task import Answer, CallAgent, Provides, Task, UseTool
from codin.task._turn import Turn
from codin.task._usage import Usage
from codin.task.stores import MemoryStore, open_store

__all__ = [
    "USAGE_KEY",
    "AgentResponse",
    "Answer",
    "ArtifactEntry",
    "CallAgent",
    "ChunkEntry",
    "Claim",
    "Commit",
    "DeadLetter",
    "Decision",
    "Entry",
    "Fold",
    "Follower",
    "Guard",
    "Handler",
    "InputEntry",
    "Lease",
    "LimitReached",
    "Limits",
    "ListQuery",
    "MemoryStore",
    "NeedAuth",
    "NeedInput",
    "OldPushConfig",
    "Outcome",
    "Owner",
    "Page",
    "PrivateEntry",
    "Provides",
    "PushPolicy",
    "PushRequest",
    "Reader",
    "Reject",
    "Resolver",
    "ResumeMismatch",
    "StatusEntry",
    "Stored",
    "Subscription",
    "Task",
    "TaskLog",
    "TaskManager",
    "TaskStore",
    "Turn",
    "Usage",
    "UseTool",
    "converse",
    "current_task",
    "dead_letters",
    "decode_entry",
    "open_store",
    "revive_dead_letters",
]
