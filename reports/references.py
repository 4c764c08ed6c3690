"""BibTeX of what a reader of a report should cite: the paper, the methods that were used, this software."""

from __future__ import annotations

from ..hypotheses.result import Result

SOFTWARE = """@software{{neuronull,
  title = {{neuronull: statistical tests of what people claim about the insides of language models}},
  version = {{{version}}},
  license = {{GPL-3.0-or-later}}
}}"""

PAPERS: dict[str, str] = {
    "liu2025routing": """@misc{liu2025routing,
  author = {Liu, Jing},
  title = {No Clustering, No Routing: How Transformers Actually Process Rare Tokens},
  year = {2025},
  eprint = {2509.04479},
  archivePrefix = {arXiv}
}""",
    "liu2025emergent": """@misc{liu2025emergent,
  author = {Liu, Jing and Wang, Haozheng and Li, Yueheng},
  title = {Emergent Specialization: Rare Token Neurons in Language Models},
  year = {2025},
  eprint = {2505.12822},
  archivePrefix = {arXiv}
}""",
    "liu2025distributed": """@misc{liu2025distributed,
  author = {Liu, Jing and Wang, Haozheng and Li, Yueheng},
  title = {Distributed Specialization: Rare-Token Neurons in Large Language Models},
  year = {2025},
  eprint = {2509.21163},
  archivePrefix = {arXiv}
}""",
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
    "westfall1993": """@book{westfall1993,
  author = {Westfall, Peter H. and Young, S. Stanley},
  title = {Resampling-Based Multiple Testing},
  publisher = {Wiley}, year = {1993}
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
    "traag2019": """@article{traag2019,
  author = {Traag, V. A. and Waltman, L. and van Eck, N. J.},
  title = {From Louvain to Leiden: Guaranteeing Well-Connected Communities},
  journal = {Scientific Reports},
  volume = {9}, number = {5233}, year = {2019}
}""",
    "maslov2002": """@article{maslov2002,
  author = {Maslov, Sergei and Sneppen, Kim},
  title = {Specificity and Stability in Topology of Protein Networks},
  journal = {Science},
  volume = {296}, number = {5569}, pages = {910--913}, year = {2002}
}""",
    "masuda2018": """@article{masuda2018,
  author = {Masuda, Naoki and Kojaku, Sadamori and Sano, Yukie},
  title = {Configuration Model for Correlation Matrices Preserving the Node Strength},
  journal = {Physical Review E},
  volume = {98}, number = {1}, pages = {012312}, year = {2018}
}""",
    "hirschberger2007": """@article{hirschberger2007,
  author = {Hirschberger, Markus and Qi, Yue and Steuer, Ralph E.},
  title = {Randomly Generating Portfolio-Selection Covariance Matrices with Specified Distributional Characteristics},
  journal = {European Journal of Operational Research},
  volume = {177}, number = {3}, pages = {1610--1625}, year = {2007}
}""",
    "macmahon2015": """@article{macmahon2015,
  author = {MacMahon, Mel and Garlaschelli, Diego},
  title = {Community Detection for Correlation Matrices},
  journal = {Physical Review X},
  volume = {5}, number = {2}, pages = {021006}, year = {2015}
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
    "higgins2002": """@article{higgins2002,
  author = {Higgins, Julian P. T. and Thompson, Simon G.},
  title = {Quantifying Heterogeneity in a Meta-Analysis},
  journal = {Statistics in Medicine},
  volume = {21}, number = {11}, pages = {1539--1558}, year = {2002}
}""",
    "dersimonian1986": """@article{dersimonian1986,
  author = {DerSimonian, Rebecca and Laird, Nan},
  title = {Meta-Analysis in Clinical Trials},
  journal = {Controlled Clinical Trials},
  volume = {7}, number = {3}, pages = {177--188}, year = {1986}
}""",
}

_BY_NULL = {
    "rewired": "maslov2002",
    "signed_rewired": "maslov2002",
    "correlation_cm": "masuda2018",
    "hqs": "hirschberger2007",
    "random_matrix": "macmahon2015",
}
_BY_FAMILY = {
    "clusters": ("traag2019",),
    "routing": ("westfall1993",),
    "coordination": ("liu2025emergent", "liu2025distributed"),
    "tails": ("liu2025emergent", "liu2025distributed"),
    "emergence": ("liu2025emergent",),
}
_MULTIVERSE = ("steegen2016", "simonsohn2020")
_EFFECTS = ("stolfo2024",)
_POOLED = ("dersimonian1986", "hartung2001", "higgins2002")
_ALWAYS = ("liu2025routing", "phipson2010", "holm1979", "schuirmann1987", "benjamini1995")


def bibtex(*results: Result, pooled: bool = False) -> str:
    """BibTeX entries for results: the paper and the software first, then the methods that their rows used.

    `pooled` says whether results were averaged over models.
    """
    wanted = dict.fromkeys(_ALWAYS)
    for finding in (f for result in results for f in result.findings):
        wanted.update(dict.fromkeys(_BY_FAMILY.get(finding.family, ())))
        parts = (finding.null_model or "").split("+")
        wanted.update(dict.fromkeys(_BY_NULL[part] for part in parts if part in _BY_NULL))
    if any(result.multiverse is not None for result in results):
        wanted.update(dict.fromkeys(_MULTIVERSE))
    if any(result.plateau_effects for result in results):
        wanted.update(dict.fromkeys(_EFFECTS))
    if pooled:
        wanted.update(dict.fromkeys(_POOLED))
    said = results[0].setup.versions.get("neuronull", "")
    version = "".join(c for c in said if c.isalnum() or c in ".+-")
    first, *rest = (PAPERS[key] for key in wanted)
    return "\n\n".join([first, SOFTWARE.format(version=version), *rest])
