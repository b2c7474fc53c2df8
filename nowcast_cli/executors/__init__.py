"""Starts jobs and tells how they went; the truth of a job stands in its folder.

Others use ``executors.local.LocalExecutor`` and the data of ``executors.job_folder``.
"""
