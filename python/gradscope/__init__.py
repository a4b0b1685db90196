"""Opens your own PyTorch networks in gradscope.

    import gradscope
    gradscope.export(model, example, "net.pt2", labels=["cat", "dog"])    # for the app and the command line
    gradscope.run("gradcam", model, "cat.jpg").save("heatmap.png")        # or stay in Python
"""

from gradscope._errors import ExportError, GradscopeError, ProgramError
from gradscope._export import export
from gradscope._result import Result
from gradscope._run import run

__all__ = ["ExportError", "GradscopeError", "ProgramError", "Result", "export", "run"]
