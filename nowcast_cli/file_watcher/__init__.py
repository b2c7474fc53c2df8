"""The file watcher: begins a run of a flow for each file that appears where ``on: {file}`` says.

It only asks the manager, by a request whose id is made of the file, so that asking again is
harmless. Where the kernel does not tell of files it looks for them by itself.
"""
