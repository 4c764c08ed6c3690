"""BibTeX of what a reader of a report should cite: the papers, the methods that were used, this software."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..hypotheses.result import Result
from . import subject

SOFTWARE = """@software{{neuronull,
  title = {{neuronull: statistical tests of what people claim about the insides of language models}},
  version = {{{version}}},
  license = {{GPL-3.0-or-later}}
}}"""

METHODS: dict[str, str] = {
    "phipson2010": """@article{phipson2010,
  author = {Phipson, Belinda and Smyth, Gordon K.},
  title = {Permutation P-values Should Never Be Zero},
  journal = {Statistical Applications in Genetics and Molecular Biology},
  volume = {9}, number = {1}, year = {2010}
}""",
    "holm1979": """@article{holm1979,
  author = {Holm, Sture},
  title = {A Simple Sequentially Rejective Multiple Test Procedure},
  journal = {Scandinavian Journal of Statistics},
  volume = {6}, number = {2}, pages = {65--70}, year = {1979}
}""",
    "benjamini1995": """@article{benjamini1995,
  author = {Benjamini, Yoav and Hochberg, Yosef},
  title = {Controlling the False Discovery Rate},
  journal = {Journal of the Royal Statistical Society, Series B},
  volume = {57}, number = {1}, pages = {289--300}, year = {1995}
}""",
    "schuirmann1987": """@article{schuirmann1987,
  author = {Schuirmann, Donald J.},
  title = {A Comparison of the Two One-Sided Tests Procedure and the Power Approach for Assessing the Equivalence of
    Average Bioavailability},
  journal = {Journal of Pharmacokinetics and Biopharmaceutics},
  volume = {15}, number = {6}, pages = {657--680}, year = {1987}
}""",
    "steegen2016": """@article{steegen2016,
  author = {Steegen, Sara and Tuerlinckx, Francis and Gelman, Andrew and Vanpaemel, Wolf},
  title = {Increasing Transparency Through a Multiverse Analysis},
  journal = {Perspectives on Psychological Science},
  volume = {11}, number = {5}, pages = {702--712}, year = {2016}
}""",
    "simonsohn2020": """@article{simonsohn2020,
  author = {Simonsohn, Uri and Simmons, Joseph P. and Nelson, Leif D.},
  title = {Specification Curve Analysis},
  journal = {Nature Human Behaviour},
  volume = {4}, number = {11}, pages = {1208--1214}, year = {2020}
}""",
    "stolfo2024": """@inproceedings{stolfo2024,
  author = {Stolfo, Alessandro and Wu, Ben and Gurnee, Wes and Belinkov, Yonatan and Song, Xingyi and Sachan, Mrinmaya
    and Nanda, Neel},
  title = {Confidence Regulation Neurons in Language Models},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {37}, year = {2024},
  eprint = {2406.16254},
  archivePrefix = {arXiv}
}""",
    "hartung2001": """@article{hartung2001,
  author = {Hartung, Joachim and Knapp, Guido},
  title = {A Refined Method for the Meta-Analysis of Controlled Clinical Trials with Binary Outcome},
  journal = {Statistics in Medicine},
  volume = {20}, number = {24}, pages = {3875--3889}, year = {2001}
}""",
    "harville1977": """@article{harville1977,
  author = {Harville, David A.},
  title = {Maximum Likelihood Approaches to Variance Component Estimation and to Related Problems},
  journal = {Journal of the American Statistical Association},
  volume = {72}, number = {358}, pages = {320--338}, year = {1977}
}""",
    "benjamini2008": """@article{benjamini2008,
  author = {Benjamini, Yoav and Heller, Ruth},
  title = {Screening for Partial Conjunction Hypotheses},
  journal = {Biometrics},
  volume = {64}, number = {4}, pages = {1215--1222}, year = {2008}
}""",
}
"""Methods of the framework itself; those of a paper, a hypothesis or a null model stand in its card."""

_MULTIVERSE = ("steegen2016", "simonsohn2020")
_EFFECTS = ("stolfo2024",)
_SEVERAL = ("benjamini2008",)
_POOLED = ("harville1977", "hartung2001")
_ALWAYS = ("phipson2010", "holm1979", "schuirmann1987", "benjamini1995")
_KEY = re.compile(r"@\w+\s*\{\s*([^,\s]+)")


def bibtex(*results: Result, pooled: bool = False) -> str:
    """BibTeX entries for results: papers and software first, then the methods that their rows used, each once.

    `pooled` says whether results were averaged over models.
    """
    wanted = list(_ALWAYS)
    if any(result.multiverse is not None for result in results):
        wanted += _MULTIVERSE
    if any(result.set_effects for result in results):
        wanted += _EFFECTS
    if len(results) > 1:
        wanted += _SEVERAL
    if pooled:
        wanted += _POOLED
    said = results[0].setup.versions.get("neuronull", "")
    version = "".join(c for c in said if c.isalnum() or c in ".+-")
    papers = (entry for paper in subject.papers(results) for entry in paper.bibtex)
    entries = (*papers, SOFTWARE.format(version=version), *(METHODS[key] for key in wanted), *_used(results))
    return "\n\n".join(_once(entries))


def _used(results: Iterable[Result]) -> Iterable[str]:
    """What the cards of the hypotheses and null models in the findings cite."""
    for result in results:
        for hypothesis in dict.fromkeys(f.hypothesis for f in result.findings):
            yield from result.hypothesis(hypothesis).bibtex
        for name in dict.fromkeys(part for f in result.findings for part in (f.null_model or "").split("+")):
            null = result.null(name)
            yield from null.bibtex if null is not None else ()


def _once(entries: Iterable[str]) -> list[str]:
    """Entries without those whose key came before; one without a key is told apart by its text."""
    found: dict[str, str] = {}
    for entry in entries:
        key = _KEY.match(entry.strip())
        found.setdefault(key[1] if key else entry, entry.strip())
    return [entry for entry in found.values() if entry]
