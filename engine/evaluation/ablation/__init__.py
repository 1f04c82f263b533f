"""Ablations: the same sequences under many recipes, with the paper's figures beside ours."""
