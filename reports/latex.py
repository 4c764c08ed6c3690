"""Tables for a paper: booktabs, every piece of foreign text escaped, plain pdflatex."""

from __future__ import annotations

import unicodedata

from ..hypotheses.result import Result
from . import multiverse, subject, tables
from .numbers import count, percent, printable, typeset
from .story import tell
from .tables import Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\u2212": "$-$",
    "\u2013": "--",
    "\u2014": "---",
    "\u2018": "`",
    "\u2019": "'",
    "\u201c": "``",
    "\u201d": "''",
    "\u2026": r"\ldots{}",
    "\u00b1": r"$\pm$",
    "\u00b2": r"\textsuperscript{2}",
    "\u00d7": r"$\times$",
    "\u2713": "",
    "\u2717": "",
    "\u00a0": "~",
}


def escape(text: str) -> str:
    r"""Text that LaTeX prints as it is; what pdflatex has no letter for becomes its nearest ASCII, else its code point.

    Examples
    --------
    >>> escape("50 % of a_b & -.02")
    '50 \\% of a\\_b \\& $-$.02'
    """
    return "".join(_letter(c) for c in printable(typeset(" ".join(text.split())))).strip()


def _letter(c: str) -> str:
    if c in _SPECIAL:
        return _SPECIAL[c]
    if c.isascii():
        # ligatures such as ?` and !` turn into other signs
        return "{`}" if c == "`" else c
    plain = unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode()
    return "".join(_SPECIAL.get(p, p) for p in plain) or f"[U+{ord(c):04X}]"


_LONG = 26
"""Letters beyond which a column of words is set in lines of its own width."""
_FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""As wide as it comes, but no wider than the column of text."""


def _align(data: Table) -> str:
    """One letter per column; long words are broken into lines and share .72 of the width, .36 each at most."""
    widest = [max(len(row[i]) for row in (data.columns, *data.rows)) for i in range(len(data.columns))]
    long = [i for i, n in enumerate(widest) if n > _LONG and i not in data.numeric]
    lines = rf">{{\raggedright\arraybackslash}}p{{{min(0.36, 0.72 / max(len(long), 1)):.2f}\linewidth}}"
    return "".join("r" if i in data.numeric else lines if i in long else "l" for i in range(len(data.columns)))


def table(data: Table, label: str = "") -> str:
    """A floating booktabs table that fits the column of text."""
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{escape(data.caption)}}}",
        *([rf"\label{{tab:{label}}}"] if label else []),
        _FIT,
        rf"\begin{{tabular}}{{{_align(data)}}}",
        r"\toprule",
        " & ".join(escape(c) for c in data.columns) + r" \\",
        r"\midrule",
        *(" & ".join(_cell(c) for c in row) + r" \\" for row in data.rows),
        r"\bottomrule",
        r"\end{tabular}}",
        *([rf"\par\smallskip\footnotesize {escape(data.note)}"] if data.note else []),
        r"\end{table}",
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A cell; braces keep ``[`` from being read as the optional argument of the line break before it."""
    cell = escape(text)
    return f"{{{cell}}}" if cell.startswith(("[", "*")) else cell


def render(result: Result) -> str:
    r"""Tables of findings and claims, to be read in with ``\input``; the document loads array, booktabs, graphicx."""
    s = result.setup
    level = percent(1 - 2 * s.alpha)
    found = tables.overview(result)
    # the id in place of the plain title, which a paper's text will give
    used = [len(found.columns) - 1, *range(1, len(found.columns) - 1)]
    caption = (
        f"Findings on {s.model}, layer {s.layer}: {count(s.n_documents)} documents of {s.corpus}, "
        f"{count(s.n_positions)} positions, "
        f"{_sets(result)} of {count(s.n_neurons)} neurons, B = {count(s.replicates)} draws. The "
        f"{level} interval decides "
        "the verdict with the margin and the adjusted p."
    )
    findings = Table(
        caption,
        tuple(found.columns[i] for i in used),
        tuple(tuple(row[i] for i in used) for row in found.rows),
        frozenset(new for new, old in enumerate(used) if old in found.numeric),
    )
    blocks = [
        "% needs \\usepackage{array,booktabs,graphicx}",
        *(
            table(t, label)
            for t, label in (*_claims(result), (findings, "findings"), (_universes(result), "multiverse"))
            if t
        ),
    ]
    return "\n\n".join(blocks) + "\n"


def _sets(result: Result) -> str:
    return subject.joined([f"{one.name}: {count(one.size)}" for one in subject.sets_of(result)])


def _claims(result: Result) -> list[tuple[Table, str]]:
    """One table per paper, and its label."""
    papers = tell(result).papers
    return [
        (
            Table(
                f"{f'Claims of {p.title}' if p.paper else p.title}, tested on {result.setup.model}",
                ("Claim", "Verdict", "Because"),
                tuple((f"{c.number}. {c.title}", str(c.verdict), c.sentence) for c in (s.claim for s in p.claims) if c),
            ),
            "claims" if len(papers) == 1 else f"claims-{i}",
        )
        for i, p in enumerate(papers, 1)
    ]


def _universes(result: Result) -> Table:
    """How often each verdict comes out, by number of claim and id: a paper's text will give the titles."""
    told = multiverse.verdicts(result)
    rows = tuple((f.name, *row[1:]) for f, row in zip(multiverse.followed(result), told.rows, strict=True))
    return Table(told.caption, told.columns, rows, told.numeric, told.note)
