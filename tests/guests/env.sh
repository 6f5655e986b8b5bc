# Sourced by the other scripts: where tools and intermediate files go (never into the repository).
GUESTS=${LEPTON_GUESTS:-${XDG_CACHE_HOME:-$HOME/.cache}/lepton-guests}
mkdir -p "$GUESTS"
