"""Uncertainties from the variations of a result: members of PDF sets, scale variations, and quadratic sums of any.

Each function takes a result that varies (a histogram with the axis ``variation``, or numbers by variation) and gives one of the same
form, in which the members of one source are replaced by two variations: ``pdf0``, ``pdf1``, ... by ``pdfUp`` and ``pdfDown``. So they are
applied one after the other, and what they give is drawn and written as any result that varies. Results are scaled first, where variations
have their own sums of weights: what the members do to the cross section then stays out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hep_flows.errors import AnalysisError, did_you_mean, with_article
from hep_flows.expr.variations import AXIS, NOMINAL, label
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hep_flows.errors import Where


def pdf_replicas(result: Any, source: str = "pdf", *, central: str = "0") -> Any:
    """Give the standard deviation of replicas as the variations ``pdfUp`` and ``pdfDown`` around the nominal result.

    The standard deviation over the members, with ``N - 1``, bin by bin: PDF4LHC recommendations for LHC Run II, J. Butterworth et al.,
    arXiv:1510.03865, section 6.2.

    Parameters
    ----------
    result : Hist or dict
        A result by variation.
    source : str
        The name that was given to `vary`; words are the numbers of the members.
    central : str
        The word of the central member, which is no replica: 0 in LHAPDF's sets. It may be missing.

    Returns
    -------
    Hist or dict
        In the same form. Variances are those of the nominal result.

    Raises
    ------
    AnalysisError
        When there are fewer than two replicas.
    """
    import numpy as np

    def spread(nominal: Any, members: Any) -> Any:
        deviation = np.std(members, axis=0, ddof=1)
        return nominal + deviation, nominal - deviation

    return _reduced(result, source, spread, least=2, left_out=label(source, central))


def pdf_hessian(result: Any, source: str = "pdf", *, symmetric: bool = True, central: str = "0", scale: float = 1.0) -> Any:
    """Give the uncertainty of a Hessian set as the variations ``pdfUp`` and ``pdfDown`` around the nominal result.

    Of a symmetric set: the square root of the sum of ``(member - central)**2`` (arXiv:1510.03865, section 6.2). Of one whose members
    ``2k - 1`` and ``2k`` are the two directions of eigenvector k: upwards the square root of the sum of ``max(a - central, b - central, 0)**2``,
    downwards that of ``max(central - a, central - b, 0)**2`` (J. Campbell, J. Huston, W. Stirling, hep-ph/0611148; S. Alekhin et al.,
    arXiv:1101.0536).

    Parameters
    ----------
    result : Hist or dict
        A result by variation.
    source : str
        The name that was given to `vary`; words are the numbers of the members.
    symmetric : bool
        Whether each member is an eigenvector, or each pair of members.
    central : str
        The word of the central member; where it is missing, the nominal result is.
    scale : float
        What deviations are multiplied by: ``1 / 1.645`` makes 68 % of a set that is made for 90 %.

    Returns
    -------
    Hist or dict
        In the same form. Variances are those of the nominal result.

    Raises
    ------
    AnalysisError
        When there are no members, or an odd number of them where they are pairs.
    """
    import numpy as np

    where, middle = user_site(), label(source, central)

    def summed(nominal: Any, members: Any, center: Any) -> Any:
        deviations = (members - (nominal if center is None else center)) * scale
        if symmetric:
            size = np.sqrt(np.sum(deviations**2, axis=0))
            return nominal + size, nominal - size
        if len(members) % 2:
            raise AnalysisError(
                f"{source} has {len(members)} members, which are no pairs",
                where=where,
                do="give symmetric=True, or the word of the central member",
            )
        pairs = np.stack([deviations[0::2], deviations[1::2]])
        up = np.sqrt(np.sum(np.maximum(pairs.max(axis=0), 0) ** 2, axis=0))
        down = np.sqrt(np.sum(np.maximum((-pairs).max(axis=0), 0) ** 2, axis=0))
        return nominal + up, nominal - down

    return _reduced(result, source, summed, least=1, left_out=middle, with_center=True)


def envelope(result: Any, source: str = "scale", *, members: Iterable[str] = ()) -> Any:
    """Give the largest and the smallest of the nominal result and the members of a source as its variations Up and Down, bin by bin.

    Scale variations are given as an envelope: leave the two of opposite directions, (2, 1/2) and (1/2, 2), out of the members (7-point:
    M. Cacciari et al., hep-ph/0303085).

    Parameters
    ----------
    result : Hist or dict
        A result by variation.
    source : str
        The name that was given to `vary`.
    members : iterable of str, optional
        The words of the members; all that the source has when left out. Name them where another source begins with the same name.

    Returns
    -------
    Hist or dict
        In the same form. Variances are those of the nominal result.

    Raises
    ------
    AnalysisError
        When there are no members.
    """
    import numpy as np

    def extremes(nominal: Any, members: Any) -> Any:
        return np.maximum(members.max(axis=0), nominal), np.minimum(members.min(axis=0), nominal)

    return _reduced(result, source, extremes, least=1, words=tuple(members))


def quadratic_sum(result: Any, *sources: str, name: str = "total") -> Any:
    """Give the quadratic sum of independent sources as the variations ``totalUp`` and ``totalDown``.

    Upwards, the square root of the sum over the sources of the square of the largest deviation upwards of each, or zero where there is none;
    downwards likewise. A source of one side counts on the sides that it moves to.

    Parameters
    ----------
    result : Hist or dict
        A result by variation, in which each source has the variations Up, Down or both.
    *sources : str
        The sources; all there are when left out.
    name : str
        What the sum is called.

    Returns
    -------
    Hist or dict
        In the same form, without the sources that were summed. Variances are those of the nominal result.

    Raises
    ------
    AnalysisError
        When a source has no variations Up or Down, as one with many members, or there is none.
    """
    import numpy as np

    where = user_site()
    values, made = _taken_apart(result, where)
    names = sources or tuple(dict.fromkeys([n.removesuffix("Up").removesuffix("Down") for n in values if n != NOMINAL]))
    members = {s: [n for n in (f"{s}Up", f"{s}Down") if n in values] for s in names}
    for source, found in members.items():
        if not found:
            raise AnalysisError(
                f"{source} has no variations Up and Down",
                where=where,
                why=f"the result has {', '.join(values)}",
                do=did_you_mean(source, [n.removesuffix("Up") for n in values])
                or "reduce a source of many members first, by pdf_replicas, pdf_hessian or envelope",
            )
    if not members:
        raise AnalysisError("the result has no variations to add", where=where, do="vary something that it depends on")
    nominal = values[NOMINAL]
    up, down = np.zeros_like(nominal), np.zeros_like(nominal)
    for found in members.values():
        deviations = np.stack([values[n] - nominal for n in found])
        up += np.maximum(deviations.max(axis=0), 0) ** 2
        down += np.maximum((-deviations).max(axis=0), 0) ** 2
    gone = {n for found in members.values() for n in found}
    kept = {n: v for n, v in values.items() if n not in gone}
    return made(kept | {f"{name}Up": nominal + np.sqrt(up), f"{name}Down": nominal - np.sqrt(down)})


# A result by variation as arrays, and back ---------------------------------------------------------------------------------------


def _reduced(  # noqa: PLR0913 - what all three have in common
    result: Any,
    source: str,
    reduce: Callable[..., Any],
    *,
    least: int,
    left_out: str = "",
    with_center: bool = False,
    words: Sequence[str] = (),
) -> Any:
    import numpy as np

    where = user_site()
    values, made = _taken_apart(result, where)
    found = _members(values, source, words, where, numbers=bool(left_out))
    members = [n for n in found if n != left_out]
    if len(members) < least:
        raise AnalysisError(
            f"{source} has {len(members)} member{'s' * (len(members) != 1)}",
            where=where,
            why=f"at least {least} are needed",
            do="give each member of the set a word: vary(w, 'pdf', {'0': w0, '1': w1, '2': w2})",
        )
    center = (values.get(left_out),) if with_center else ()
    up, down = reduce(values[NOMINAL], np.stack([values[n] for n in members]), *center)
    new = {label(source, "up"): up, label(source, "down"): down}
    first = next(iter(found))
    ordered: dict[str, Any] = {}
    for name, value in values.items():
        ordered |= new if name == first else {} if name in found else {name: value}
    return made(ordered)


def _members(values: Mapping[str, Any], source: str, words: Sequence[str], where: Where, *, numbers: bool) -> list[str]:
    """Give the variations of a source: its name, and a number, or a word that begins with none of the small letters."""
    rests = {n: n.removeprefix(source) for n in values if n.startswith(source) and n != source}
    found = [n for n, rest in rests.items() if (rest.isdigit() if numbers else not rest[0].islower())]
    if words:
        found = [n for n in values if n in [label(source, w) for w in words]]
    if not found or len(found) < len(words):
        near = did_you_mean(source, list(values))
        raise AnalysisError(f"the result has no variations of {source!r}", where=where, why=f"it has {', '.join(values)}", do=near)
    return found


def _taken_apart(result: Any, where: Where) -> tuple[dict[str, Any], Callable[[Mapping[str, Any]], Any]]:
    import numpy as np

    if isinstance(result, Mapping) and NOMINAL in result:
        if all(isinstance(v, int | float | np.ndarray | np.number) for v in result.values()):
            arrays = {str(n): np.asarray(v, np.float64) for n, v in result.items()}
            return arrays, lambda new: {n: v if v.ndim else float(v) for n, v in ((n, np.asarray(v)) for n, v in new.items())}
    elif _varies(result) and result.storage_type.__name__ in ("Double", "Int64", "Weight"):
        numbers = result.values(flow=True)
        return {n: numbers[i].astype(np.float64) for i, n in enumerate(result.axes[0])}, lambda new: _histogram(result, new)
    raise AnalysisError(
        f"{with_article(result)} is no result that varies",
        where=where,
        why="it is a histogram of counts with the axis 'variation', or numbers by variation, nominal among them",
        do="fill with what varies: h = done.values['ttbar']['mass']",
    )


def _varies(result: Any) -> bool:
    return hasattr(result, "axes") and result.ndim > 0 and result.axes[0].name == AXIS and NOMINAL in list(result.axes[0])


def _histogram(result: Any, new: Mapping[str, Any]) -> Any:
    import hist

    weighted = result.storage_type.__name__ == "Weight"
    first = hist.axis.StrCategory(list(new), name=AXIS, label=AXIS)
    storage = hist.storage.Weight() if weighted else hist.storage.Double()
    made = hist.Hist(first, *result.axes[1:], storage=storage, name=result.name, label=result.label)
    old = list(result.axes[0])
    for i, (name, values) in enumerate(new.items()):
        if weighted:
            made.view(flow=True)["value"][i] = values
            made.view(flow=True)["variance"][i] = result.variances(flow=True)[old.index(name if name in old else NOMINAL)]
        else:
            made.view(flow=True)[i] = values
    return made
