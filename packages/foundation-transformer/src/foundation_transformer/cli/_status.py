"""How a command ended, as its exit status."""

#: Success.
DONE = 0
#: A failure that the message explains.
FAILED = 1
#: A fault of this program; 2, between them, is argparse's for a mistake in the arguments.
OUR_FAULT = 70
#: Stopped by Ctrl-C or another signal, as shells expect it: 128 and the number of SIGINT.
INTERRUPTED = 130
