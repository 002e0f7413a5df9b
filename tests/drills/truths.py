"""What must be true of a world and its model after every step, and how a machine finds its way in them."""

from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.drills.ground import Ground
from tests.drills.model import HOLDING, Item
from tests.drills.world import World


class Truths(RuleBasedStateMachine):
    """`ground` is set by whoever runs it."""

    ground: Ground

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.ground)
        self.items: dict[str, Item] = {}
        self.ends: dict[str, str] = {}

    @invariant()
    def rows_say_what_is_true(self) -> None:
        rows = {row["id"]: row for row in self.world.rows("SELECT id, state FROM uploads")}
        assert {each: row["state"] for each, row in rows.items()} == {
            upload_id: item.state for upload_id, item in self.items.items()
        }
        for quota in self.world.rows("SELECT used, reserved FROM quotas"):
            assert quota["used"] == sum(item.used for item in self.items.values())
            assert quota["reserved"] == sum(item.reserved for item in self.items.values())

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        for upload_id, item in self.items.items():
            if item.state in HOLDING:
                assert self.world.chunks(upload_id) == item.kept
            elif item.state == "ready":
                wanted = None if item.is_hidden else item.content
                assert self.world.content(upload_id) == wanted

    @invariant()
    def a_status_neither_lies_nor_goes_back(self) -> None:
        jobs = {row["id"]: row for row in self.world.rows("SELECT id, state, version FROM jobs")}
        for job_id, shown in self.world.redis.board.shown.items():
            assert shown.job.version <= jobs[job_id]["version"], "the board is ahead of the rows"
            if shown.job.is_final:
                assert shown.job.state == jobs[job_id]["state"]
        for job_id, state in self.ends.items():
            assert jobs[job_id]["state"] == state, "an end was no end"
        ended = {"succeeded", "rejected", "failed", "cancelled"}
        self.ends |= {each: row["state"] for each, row in jobs.items() if row["state"] in ended}

    def teardown(self) -> None:
        """Let everything come to its end, and hold it against the invariants."""
        breaches = self.world.settled()
        assert not breaches, breaches

    @property
    def numbered(self) -> list[tuple[str, Item]]:
        return [each for each in self.items.items() if each[1].size is not None]

    @property
    def streams(self) -> list[tuple[str, Item]]:
        return [each for each in self.items.items() if each[1].size is None]

    def some(self, *states: str) -> bool:
        return any(item.state in states for item in self.items.values())

    def one(self, which: int, *states: str) -> tuple[str, Item]:
        """Return one of the uploads, only of those in `states` if they are said."""
        found = [each for each in self.items.items() if not states or each[1].state in states]
        return found[which % len(found)]

    def of(self, job_id: str) -> Item:
        return self.items[self.world.job(job_id)["upload_id"]]
