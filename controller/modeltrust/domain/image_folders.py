"""Which folder of a container image is the model, known to who lists images and to who reads paths in Pods.

KServe's convention (its storage code and modelcar command): the model is what lies under ``/models``. Everything beside it is the
operating system that a modelcar needs to run ``sh``. So that no path of a mounted image leads to a file that nobody looked at, an
image with ``/models`` may have nothing else at its top but the folders below (``sources.images``), and a Pod may name no path in
one of them (``references.volumes``).
"""

MODEL_FOLDER = "models"
# The filesystem hierarchy standard 3.0, what Debian, Alpine, Fedora and UBI images add to it, and merged-usr leftovers.
SYSTEM_FOLDERS = frozenset(
    {
        "afs", "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libexec", "libx32", "licenses", "lost+found", "media",
        "mnt", "opt", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var",
    }
)  # fmt: skip
