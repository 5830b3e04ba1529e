"""`python -m mmemo` is `mmemo`."""

from mmemo.cli import main

main()
