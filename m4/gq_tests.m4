# SPDX-License-Identifier: Apache-2.0
# GQ_CHECK: the Check unit-test library, linked statically where possible, so that the test programs run on a
# machine that lacks it (a GPU machine, say). Sets CHECK_CFLAGS, GQ_CHECK_LIBS, HAVE_CHECK (conditional).
AC_DEFUN([GQ_CHECK], [
gq_have_check=no
gq_check_how=shared
PKG_CHECK_MODULES([CHECK], [check >= 0.12], [gq_have_check=yes], [:])
GQ_CHECK_LIBS=$CHECK_LIBS
AS_IF([test $gq_have_check = yes], [
  gq_check_dir=`$PKG_CONFIG --variable=libdir check`
  gq_static_libs=
  for gq_archive in libcheck_pic.a libcheck.a; do
    AS_IF([test -z "$gq_static_libs" && test -r "$gq_check_dir/$gq_archive"],
      [gq_static_libs=$gq_check_dir/$gq_archive])
  done
  AS_IF([test -r "$gq_check_dir/libsubunit.a"], [gq_static_libs="$gq_static_libs $gq_check_dir/libsubunit.a"])
  gq_saved_libs=$LIBS
  LIBS="$gq_static_libs -lm -lrt $LIBS"
  gq_saved_cflags=$CFLAGS
  CFLAGS="$CFLAGS $CHECK_CFLAGS"
  AC_MSG_CHECKING([whether Check can be linked statically])
  AS_IF([test -n "$gq_static_libs"], [
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <check.h>]], [[srunner_free(srunner_create(suite_create("probe")));]])],
      [gq_check_how=static; GQ_CHECK_LIBS="$gq_static_libs -lm -lrt"])
  ])
  AC_MSG_RESULT([$gq_check_how])
  CFLAGS=$gq_saved_cflags
  LIBS=$gq_saved_libs
])
AC_SUBST([GQ_CHECK_LIBS])
AM_CONDITIONAL([HAVE_CHECK], [test $gq_have_check = yes])
])

# GQ_MODEL_CHECKER: whether `make check-model` can run: a C++ compiler and relacy's headers.
AC_DEFUN([GQ_MODEL_CHECKER], [
AC_CHECK_PROGS([GQ_CXX], [g++ c++ clang++])
AS_IF([test -z "$GQ_CXX"], [gq_model_summary="no: no C++ compiler"], [
  AC_MSG_CHECKING([whether $GQ_CXX finds relacy])
  echo '#include <relacy/relacy.hpp>' >conftest.cpp
  AS_IF([$GQ_CXX -std=gnu++17 -w -fsyntax-only conftest.cpp >&AS_MESSAGE_LOG_FD 2>&1],
    [AC_MSG_RESULT([yes]); gq_model_summary="make check-model ($GQ_CXX)"],
    [AC_MSG_RESULT([no]); gq_model_summary="no: no relacy/relacy.hpp (Debian: apt-get install relacy-dev)"])
  rm -f conftest.cpp
])
])
