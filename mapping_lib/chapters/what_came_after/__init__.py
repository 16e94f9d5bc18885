"""What chapter 4g alone uses: what the field learned after MAML, each method beside those of the chapters before."""
