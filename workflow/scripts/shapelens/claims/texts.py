"""The paper's claims that rest on accuracies, by the module that judges them (no heavy import).

Claims about what an instrument measures stand in the declaration of its room.
"""

PAPER: dict[str, dict[str, str]] = {
    "shapelens.claims.robustness": {
        "1a": "Adversarial training makes robust",
        "1b": "Robustness costs clean accuracy: within each family it falls from the smallest ε to the largest",
        "2-saturation": "Robust models' gain on saturated images (16 to 1024) is not just underfitting",
        "2-stylised": "Robust models' gain on stylised images is not just underfitting",
        "2-shuffle": "Robust models' loss on shuffled images (k = 2 and 4) is not just underfitting",
    },
    "shapelens.claims.texture": {
        "3a": "Robust models are less bound to texture: they keep more on saturated images (8, 16, 64, 1024)",
        "3b": "The more robust a model, the more it keeps on saturated images (16 to 1024)",
        "4": "Below saturation level 2 robust and standard models differ little",
        "6": "Robust models keep more when images are stylised",
    },
    "shapelens.claims.shape": {
        "5a": "Robust models are more hurt by patch shuffling (k = 2 and 4)",
        "5b": "The more robust a model, the more it is hurt by patch shuffling (k = 2)",
        "5c": "At k = 8 robust and standard models differ by less than 5 points",
        "5d": "Images of low resolution suffer more from patch shuffling (k = 2)",
        "10": "Robustness goes with a preference for shape",
    },
    "shapelens.claims.frequency": {
        "7": "Robust models rely on low frequencies",
        "11": "PGD changes local features: its perturbations hold more high frequencies than the images",
    },
    "shapelens.claims.spatial": {
        "9a": "Spatially adversarial training does not make robust against PGD",
    },
}
"""Text of each claim by module and id; the module has a function ``claim_ID`` for each, its dashes as underscores."""
