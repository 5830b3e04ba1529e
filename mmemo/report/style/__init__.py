"""Colors, wording, fonts and time formats that all reports share."""
