"""Looks at a deployment of NEMO_Nowcast: what is used as it stands, what is not, what differs.

Nothing of the deployment is run or imported; :mod:`nowcast_cli.adopt.additions` writes.
"""
