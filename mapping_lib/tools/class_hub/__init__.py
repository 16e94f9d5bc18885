"""A JupyterHub for a class on one machine, by three commands, as root. What is not ours: JupyterHub, its proxy, PAM.

    python -m mapping_lib.tools.editions                       # student/ and teacher/
    python -m mapping_lib.tools.class_hub accounts class.csv   # prints the new accounts' passwords, once
    python -m mapping_lib.tools.class_hub run class.csv --JupyterHub.bind_url=http://:8000

`accounts` reads who may come in and makes Unix accounts of them, `config` is the hub's configuration, `start` runs as
the student before each server: it sets limits and brings the edition up to date. `watch` adds up each student's memory.
"""
