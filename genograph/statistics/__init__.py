"""How the arms of an ablation are compared: scores and estimates with their errors, comparisons, and the verdict."""
