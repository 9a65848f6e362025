"""The coefficients of this service, read once."""

from pathlib import Path

from shared.parameters import Parameters

PARAMETERS = Parameters(Path(__file__).parents[1] / "parameters.yaml")
SPECIES = tuple(name.removeprefix("species.") for name in PARAMETERS.entries if name.startswith("species."))
COUNTIES = ("shuocheng", "pinglu", "shanyin", "yingxian", "youyu", "huairen")
PERILS = ("fire", "pest", "drought", "frost_snow", "wind", "flood", "harvest")
PROGRAMMES = ("ccer", "verra", "gold_standard")
KINDS = ("forest", "grassland", "wetland")
TITLE_KINDS = ("certificate", "contract", "approved_deed")
SITE_CLASSES = ("good", "medium", "poor")
#: What is done against a peril of nature, as the questionnaire of non-permanence asks.
MITIGATIONS = ("none", "one_measure", "prevention_and_containment")
_RULE = "eligibility_rule."
#: Rules of the methodologies, in the order in which they stand in the file.
RULES = tuple(name.removeprefix(_RULE) for name in PARAMETERS.entries if name.startswith(_RULE))
EVIDENCE_KINDS = tuple(
    dict.fromkeys(
        kind for rule in RULES for entry in PARAMETERS.entries[_RULE + rule] for kind in entry.value["evidence"]
    )
)
FINDINGS = ("supports", "contradicts", "unclear")
