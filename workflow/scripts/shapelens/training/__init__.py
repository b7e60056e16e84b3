"""The training loop: standard and adversarial, resumable."""
