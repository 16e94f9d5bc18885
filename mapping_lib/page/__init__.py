"""What a page needs: style and plots, explorers, predictions, progress, and the checking of exercises.

An explorer (`explorer`) has a State (`fields`), a program (`program`, `tracing`, `runs`), marks (`marks`) and a
sentence (`sentence`); `front/` is the one front end that computes, draws and moves all of them, in JupyterLab or on any
page.
"""
