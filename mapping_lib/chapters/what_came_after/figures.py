"""The colours of chapter 4g's methods; each part of the chapter has its own file of pictures."""

from mapping_lib.page.plots import COLOUR_OF

COLOUR_OF_METHODS = {
    **{name: COLOUR_OF[name] for name in ("MAML", "in-context", "joint training", "from scratch", "Bayes")},
    "prior-fitted": "#882255",
    "test-time steps": "#B8460E",
    "plain steps": "#C9A227",
    "context parameters": "#117733",
    "LoRA, rank 1": "#AA4499",
    "LoRA, rank 2": "#DDAAD0",
    "hypernetwork writes LoRA": "#E0457B",
    "neural process": "#56B4E9",
    "biases only": "#8C6510",
    "head only": "#999933",
    "a policy that remembers": "#4B0092",
}
"""One colour a method; those of the chapters before keep theirs."""
