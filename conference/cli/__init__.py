"""The command line `diemcau`."""
