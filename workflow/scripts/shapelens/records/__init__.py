"""What every result was made from, written beside it by its job and compared before it is used."""
