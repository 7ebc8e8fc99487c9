"""Tests of the scripts: /usr/bin/python3 -m unittest discover -s scripts -t scripts -p 'test_*.py'"""
