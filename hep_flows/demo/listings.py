"""The two listings of the paper, as functions of a path, each with its twin on CMS NanoAOD; ``table`` makes the table of the path.

They read as an analysis does; nothing runs until `hep_flows.make_local` is called with what they give. Aliases are defined in a
scope of their own, so that nothing is left behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows import Histogram, alias_scope, define_alias, nanoaod_table, user_func, xaod_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hep_flows import DataFrame


@dataclass(frozen=True, slots=True)
class Listing:
    """What a listing asks for.

    Parameters
    ----------
    title : str
        What is shown.
    values : DataFrame
        The expression that the paper makes local: one value per selected electron.
    histogram : DataFrame
        The same as a filled histogram.
    yields : dict
        By name: one number each.
    """

    title: str
    values: DataFrame
    histogram: Histogram
    yields: dict[str, DataFrame]


@user_func
def DeltaR(eta1: float, phi1: float, eta2: float, phi2: float) -> float:  # noqa: N802 - its name in physics
    """Give the distance in eta and phi; every plug-in knows it by its name."""


def listing_1(path: str | Path, *, table: Callable[[str | Path], DataFrame] = xaod_table) -> Listing:
    """Give the transverse momentum of good electrons on PHYSLITE, in GeV."""
    df = table(path)
    eles = df.Electrons("Electrons")
    good_eles = eles[(eles.pt > 50000.0) & (abs(eles.eta) < 1.5)]
    return _spectrum("Listing 1 on PHYSLITE: electrons above 50 GeV", df, eles, good_eles, good_eles.pt / 1000.0)


def listing_1_nanoaod(path: str | Path, cut: float = 50.0, *, table: Callable[[str | Path], DataFrame] = nanoaod_table) -> Listing:
    """Give the same on NanoAOD, which is in GeV already."""
    df = table(path)
    eles = df.Electron
    good_eles = eles[(eles.pt > cut) & (abs(eles.eta) < 1.5)]
    return _spectrum(f"Listing 1 on NanoAOD: electrons above {cut:g} GeV", df, eles, good_eles, good_eles.pt)


def listing_2(path: str | Path, *, table: Callable[[str | Path], DataFrame] = xaod_table) -> Listing:
    """Give the resolution of electrons that match a true one on PHYSLITE, in GeV."""
    with alias_scope():
        define_alias("", "ptgev", lambda o: o.pt / 1000.0)
        df = table(path)
        mc_part = df.TruthParticles("TruthElectrons")
        mc_ele = mc_part[(mc_part.pdgId == 11) | (mc_part.pdgId == -11)]
        eles = df.Electrons("Electrons")
        return _resolution("Listing 2 on PHYSLITE: resolution of matched electrons", df, eles[good_e], mc_ele[good_e])


def listing_2_nanoaod(path: str | Path, *, table: Callable[[str | Path], DataFrame] = nanoaod_table) -> Listing:
    """Give the same on NanoAOD: the true electrons are the final ones of the generator."""
    with alias_scope():
        define_alias("", "ptgev", lambda o: o.pt)
        df = table(path)
        mc_part = df.GenPart
        mc_ele = mc_part[((mc_part.pdgId == 11) | (mc_part.pdgId == -11)) & (mc_part.status == 1)]
        return _resolution("Listing 2 on NanoAOD: resolution of matched electrons", df, df.Electron[good_e], mc_ele[good_e])


def good_e(e: DataFrame) -> DataFrame:
    """Say which electrons are good, true or measured."""
    return (e.ptgev > 20.0) & (abs(e.eta) < 1.4)


def associate_particles(source: DataFrame, pick_from: DataFrame) -> DataFrame:
    """Give the objects of ``source`` that have one of ``pick_from`` near, with the first near one as ``.mc``."""

    def dr(p1: DataFrame, p2: DataFrame) -> DataFrame:
        return DeltaR(p1.eta, p1.phi, p2.eta, p2.phi)

    def very_near(picks: DataFrame, p: DataFrame) -> DataFrame:
        return picks[lambda q: dr(q, p) < 0.1]

    source["all"] = lambda e: very_near(pick_from, e)
    source["has_match"] = lambda e: e.all.Count() > 0
    with_assoc = source[source.has_match]
    with_assoc["mc"] = lambda e: e.all.First()
    return with_assoc


def _spectrum(title: str, df: DataFrame, eles: DataFrame, good_eles: DataFrame, pt: DataFrame) -> Listing:
    histogram = Histogram.new.Reg(60, 0, 150, name="pt", label="Electron $p_T$ [GeV]").Double().fill(pt=pt)
    yields = {"events": df.Count(), "electrons": eles.Count().Sum(), "good electrons": good_eles.Count().Sum()}
    return Listing(title, pt, histogram, yields)


def _resolution(title: str, df: DataFrame, good_eles: DataFrame, good_mc_ele: DataFrame) -> Listing:
    matched = associate_particles(good_eles, good_mc_ele)
    difference = matched.ptgev - matched.mc.ptgev
    label = "Electron $p_T$ measured - true [GeV]"
    histogram = Histogram.new.Reg(80, -4, 4, name="resolution", label=label).Double().fill(resolution=difference)
    yields = {
        "events": df.Count(),
        "good true electrons": good_mc_ele.Count().Sum(),
        "good electrons": good_eles.Count().Sum(),
        "matched electrons": matched.Count().Sum(),
    }
    return Listing(title, difference, histogram, yields)


LISTINGS: tuple[tuple[str, str, Callable[[str | Path], Listing]], ...] = (
    ("listing_1_physlite", "physlite", listing_1),
    ("listing_2_physlite", "physlite", listing_2),
    ("listing_1_nanoaod", "nanoaod", listing_1_nanoaod),
    ("listing_2_nanoaod", "nanoaod", listing_2_nanoaod),
)
