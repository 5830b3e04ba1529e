"""Fitting to clips of your own: `mmemo train` fits fusion heads, `mmemo calibrate` corrects a model that there is."""
