"""What the rules of the workflow ask about its studies; imported by the Snakefile and by no job."""
