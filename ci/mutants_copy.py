"""A throw-away copy of the tree, in which one mutant at a time is built."""

import os
import shutil
import subprocess


class BuildFailed(Exception):
    pass


def command(words, where, environment=None, lines_max=25):
    """What the command says; where it fails that is the failure's, its last lines only unless lines_max is 0."""
    done = subprocess.run(words, cwd=where, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).splitlines()
        raise BuildFailed(f"{' '.join(words)} failed:\n" + "\n".join(said[-lines_max:]))
    return done.stdout


class Copy:
    """Copy follows the tree: what differs is written anew, so that ninja builds only what a mutant touches, and ccache
    knows what the mutant before had changed."""

    def __init__(self, root, at, jobs, prefix=None):
        self.root, self.at, self.jobs, self.prefix = root, os.path.abspath(at), jobs, prefix
        self.environment = dict(os.environ, CCACHE_BASEDIR=self.at, CCACHE_NOHASHDIR="1", LC_ALL="C")

    def restore(self):
        """Makes the copy the same as the tree, with what is not committed."""
        listed = command(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], self.root)
        wanted = {path for path in listed.split("\0") if path and os.path.isfile(os.path.join(self.root, path))}
        for path in wanted:
            source, target = os.path.join(self.root, path), os.path.join(self.at, path)
            with open(source, "rb") as file:
                content = file.read()
            if os.path.exists(target):
                with open(target, "rb") as file:
                    if file.read() == content:
                        continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copymode(source, target)
        for folder, folders, files in os.walk(self.at):
            if folder == self.at:
                folders[:] = [name for name in folders if name not in ("build", ".git")]
            for name in files:
                path = os.path.relpath(os.path.join(folder, name), self.at)
                if path not in wanted:
                    os.remove(os.path.join(self.at, path))

    def plant(self, patch):
        done = subprocess.run(["patch", "-p1", "--no-backup-if-mismatch", "--silent"], input=patch, cwd=self.at,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildFailed("the patch does not apply: " + done.stdout.strip())

    def build(self, preset, targets=("tlsrig",), keep_going=False):
        """Builds in a preset, and answers the path of the command."""
        folder = os.path.join(self.at, "build", preset)
        if not os.path.exists(os.path.join(folder, "build.ninja")):
            launcher = ["-DCMAKE_C_COMPILER_LAUNCHER=ccache", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
            words = ["cmake", "--preset", preset, *(launcher if shutil.which("ccache") else []),
                     *([f"-DRIG_TLS_PREFIX={self.prefix}"] if self.prefix else [])]
            command(words, self.at, self.environment)
        words = ["cmake", "--build", folder, "--target", *targets, "-j", str(self.jobs)]
        command(words + (["--", "-k", "0"] if keep_going else []), self.at, self.environment, 0 if keep_going else 25)
        return os.path.join(folder, "harness/cli/tlsrig")
