"""Workers that every system can use, by the names that NEMO_Nowcast gives them."""
