"""The colours of chapter 4g's methods; each part of the chapter has its own file of pictures."""

from mapping_lib.page.plots import COLOUR_OF

COLOUR_OF_METHODS = {
    **{
        name: COLOUR_OF[name]
        for name in ("MAML", "in-context", "joint training", "from scratch", "hypernetwork", "Bayes")
    },
    "prior-fitted": "#882255",
    "test-time steps": "#AA00FF",
    "plain steps": "#C9A227",
    "context parameters": "#B81414",
    "LoRA, rank 1": "#632673",
    "LoRA, rank 2": "#8675F0",
    "hypernetwork writes LoRA": "#FF66A3",
    "neural process": "#56B4E9",
    "biases only": "#733B26",
    "head only": "#999933",
    "a policy that remembers": "#4B0092",
    "implicit MAML": "#C000A0",
}
"""One colour a method; those of the chapters before keep theirs."""
