"""In which formats tables are written, and which datasets the paper's have (no heavy import)."""

FORMATS = ("csv", "md", "tex", "html")
"""Suffixes in which every table is written; the CSV is tidy, the others are for reading."""

PUBLISHED_OF = {4: "caltech256", 5: "tinyimagenet", 6: "cifar10", 7: "caltech256", 8: "tinyimagenet"}
"""The dataset of those tables of Zhang and Zhu (2019) that have only one."""
