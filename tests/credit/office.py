"""Those who have to do with models at one bank."""

from typing import Any

from tests.conftest import Database
from tests.credit.cards import signed
from tests.credit.story import Story
from tests.harness import BANK, Client, body

WHY = {"comment": "report of 1 March"}


class Office:
    """Those who have to do with models at one bank."""

    def __init__(self, database: Database, bank: str = BANK) -> None:
        self.story = Story(database, bank=bank)
        self.ann = self.story.person("modeller", "ann")
        self.bob = self.story.person("model-risk", "bob")

    def enter(self, document: dict[str, Any]) -> dict[str, Any]:
        return body(self.ann.send("/v1/models?kind=scorecard", signed(document)), 201)

    def pending_hash(self, model: dict[str, Any]) -> str:
        items = body(self.bob.get("/v1/approvals"))["items"]
        return next(str(one["payload_hash"]) for one in items if one["subject"] == model["id"])

    def approve(self, model: dict[str, Any], by: Client | None = None) -> Any:
        seen = {"payload_hash": self.pending_hash(model), "approve": True, **WHY}
        return (by or self.bob).post(f"/v1/models/{model['id']}/approval", seen)

    def step(self, model: dict[str, Any], what: str, **more: Any) -> Any:
        now = body(self.bob.get(f"/v1/models/{model['id']}"))
        return self.bob.post(f"/v1/models/{model['id']}/{what}", WHY | more, If_Match=f'"v{now["version"]}"')

    def approved(self, document: dict[str, Any]) -> dict[str, Any]:
        model = self.enter(document)
        body(self.bob.post(f"/v1/models/{model['id']}/validation", {"fit": True, **WHY}))
        return body(self.approve(model))

    def serving(self) -> tuple[str, int]:
        one = next(x for x in body(self.bob.get("/v1/models/serving"))["items"] if x["role"] == "champion")
        return one["origin"], one["version"]
