"""One array in every file form that the runner reads."""

import gzip

import numpy as np
import pandas as pd


def _text(x, separator, header, decimal, quoted):
    def field(value):
        text = repr(value.item()) if value.dtype.kind == "f" else str(value.item())
        text = text.replace(".", decimal)
        return f'"{text}"' if quoted else text

    lines = [separator.join(field(v) for v in row) for row in x.reshape(len(x), -1)]
    if header is not None:
        lines.insert(0, separator.join(f'"{name}"' if quoted else name for name in header))
    return "\n".join(lines) + "\n"


def csv(path, x, header=None, quoted=False):
    path.write_text(_text(x, ",", header, ".", quoted))


def gzipped(path, x, header=None):
    path.write_bytes(gzip.compress(_text(x, ",", header, ".", False).encode()))


def tsv(path, x, header=None):
    path.write_text(_text(x, "\t", header, ".", False))


def german(path, x, header=None):
    """Semicolons, decimal commas, a byte order mark, Windows line ends."""
    path.write_bytes(("\ufeff" + _text(x, ";", header, ",", False)).replace("\n", "\r\n").encode())


def parquet(path, x, header=None):
    flat = x.reshape(len(x), -1)
    pd.DataFrame(flat, columns=header or [f"c{i}" for i in range(flat.shape[1])]).to_parquet(path)


#: name of the file -> (writer, whether it keeps the array's shape, whether it names columns)
FORMS = {
    "x.npy": (lambda path, x, header: np.save(path, x), True, False),
    "fortran.npy": (lambda path, x, header: np.save(path, np.asfortranarray(x)), True, False),
    "x.npz": (lambda path, x, header: np.savez(path, x_train=x), True, False),
    "packed.npz": (lambda path, x, header: np.savez_compressed(path, x_train=x), True, False),
    "plain.csv": (lambda path, x, header: csv(path, x), False, False),
    "header.csv": (csv, False, True),
    "quoted.csv": (lambda path, x, header: csv(path, x, header, True), False, True),
    "LOUD.CSV": (csv, False, True),
    "x.csv.gz": (gzipped, False, True),
    "x.tsv": (tsv, False, True),
    "german.csv": (german, False, True),
    "x.parquet": (parquet, False, True),
}
