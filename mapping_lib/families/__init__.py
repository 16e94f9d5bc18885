"""Floor 2: families of tasks, each a distribution p(T) with one method, ``sample``."""
