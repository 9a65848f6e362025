"""Placing a whole queue of loans with guarantors: never over a limit, near the optimum, with a certificate.

queue_file reads and checks, problem lays out columns and rows, prices bounds, core asks HiGHS, placing counts in whole
fen, search joins them, allocate serves the classes in order and writes the certificate. checker reads a certificate
again and shares no code with the rest.
"""
