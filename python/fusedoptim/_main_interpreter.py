"""Refuses to be imported into a subinterpreter, where loading the compiled module would wait for itself for ever."""

import ctypes


def is_main() -> bool:
    present, main = ctypes.pythonapi.PyInterpreterState_Get, ctypes.pythonapi.PyInterpreterState_Main
    present.restype = main.restype = ctypes.c_void_p
    return bool(present() == main())


if not is_main():
    raise ImportError(
        "fusedoptim cannot be imported into a subinterpreter: import it in the main interpreter, or in another process"
    )
