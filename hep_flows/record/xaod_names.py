"""The methods of the xAOD event that give a container by name."""

from __future__ import annotations

ACCESSORS = frozenset(
    "Electrons Muons Photons Jets FatJets TauJets DiTauJets TruthParticles TruthVertices TruthEvents Vertices TrackParticles "
    "CaloClusters MissingET EventInfo BTagging TrigElectrons Tracks PFOs FlowElements MuonSegments".split()
)
