# SPDX-License-Identifier: Apache-2.0
# GQ_PYTHON: what --enable-python needs. Sets PYTHON, PYTHON_CPPFLAGS, PYTHON_EXT_SUFFIX, pyexecdir,
# ENABLE_PYTHON (conditional).
AC_DEFUN([GQ_PYTHON], [
AS_IF([test $enable_python = yes], [
  # Automake's own idea of the directory is site-packages, where Debian's Python does not look: sysconfig decides.
  AM_PATH_PYTHON([3.9])
  AC_MSG_CHECKING([for the headers of $PYTHON])
  gq_python_include=`$PYTHON -c 'import sysconfig; print(sysconfig.get_path("include"))'`
  AS_IF([test -r "$gq_python_include/Python.h"], [AC_MSG_RESULT([$gq_python_include])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([--enable-python: no Python.h in $gq_python_include (Debian: apt-get install python3-dev; another interpreter: PYTHON=/path/to/python3)])])
  PYTHON_CPPFLAGS="-I$gq_python_include"
  PYTHON_EXT_SUFFIX=`$PYTHON -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))'`
  gq_python_prefix=$prefix
  AS_IF([test "x$gq_python_prefix" = xNONE], [gq_python_prefix=$ac_default_prefix])
  AC_MSG_CHECKING([where $PYTHON looks for modules under $gq_python_prefix])
  gq_python_dir=`$PYTHON - "$gq_python_prefix" <<'GQ_EOF'
import sys, sysconfig
prefix = sys.argv@<:@1@:>@
names = sysconfig.get_scheme_names()
own = sys.base_prefix
if prefix == own and "deb_system" in names:
    path = sysconfig.get_path("platlib", "deb_system")
elif prefix == own + "/local" and "posix_local" in names:
    path = sysconfig.get_path("platlib", "posix_local")
else:
    path = sysconfig.get_path("platlib", "posix_prefix", vars={"base": prefix, "platbase": prefix})
print(path.replace(prefix, "\${prefix}", 1) if path.startswith(prefix + "/") else path)
GQ_EOF
`
  AS_IF([test -z "$gq_python_dir"], [AC_MSG_ERROR([$PYTHON could not say where modules go])])
  AC_MSG_RESULT([$gq_python_dir])
  pyexecdir=$gq_python_dir
  pythondir=$gq_python_dir
])
AC_SUBST([PYTHON_CPPFLAGS])
AC_SUBST([PYTHON_EXT_SUFFIX])
AM_CONDITIONAL([ENABLE_PYTHON], [test $enable_python = yes])
])
