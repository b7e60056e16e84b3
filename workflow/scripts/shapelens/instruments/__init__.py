"""What is measured on a finished model, one room for each instrument, and the job that measures."""
