# SPDX-License-Identifier: Apache-2.0

# GQ_REQUIRE_YES_OR_NO(NAMES): refuse --enable-NAME=anything else, which would otherwise read as a yes or a no.
AC_DEFUN([GQ_REQUIRE_YES_OR_NO], [
for gq_name in $1; do
  eval gq_value=\$enable_$gq_name
  AS_CASE([$gq_value], [yes|no], [],
    [AC_MSG_ERROR([--enable-$gq_name=$gq_value: neither yes nor no])])
done
])

# GQ_TRY_CFLAGS(VARIABLE, FLAGS): append each of FLAGS that the C compiler takes without a word.
AC_DEFUN([GQ_TRY_CFLAGS], [
for gq_flag in m4_normalize([$2]); do
  gq_saved_cflags=$CFLAGS
  CFLAGS="$CFLAGS -Werror $gq_flag"
  AC_MSG_CHECKING([whether $CC accepts $gq_flag])
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes]); $1="$$1 $gq_flag"], [AC_MSG_RESULT([no])])
  CFLAGS=$gq_saved_cflags
done
])

# GQ_TRY_LDFLAGS(VARIABLE, FLAGS): the same for the linker.
AC_DEFUN([GQ_TRY_LDFLAGS], [
for gq_flag in m4_normalize([$2]); do
  gq_saved_ldflags=$LDFLAGS
  LDFLAGS="$LDFLAGS $gq_flag"
  AC_MSG_CHECKING([whether $CC links with $gq_flag])
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes]); $1="$$1 $gq_flag"], [AC_MSG_RESULT([no])])
  LDFLAGS=$gq_saved_ldflags
done
])

# GQ_COMPILER_FLAGS: what every object is compiled with. GQ_CFLAGS goes to all, GQ_LIB_CFLAGS to the library only.
AC_DEFUN([GQ_COMPILER_FLAGS], [
GQ_CFLAGS=
GQ_TRY_CFLAGS([GQ_CFLAGS], [-std=gnu11])
AS_IF([test -z "$GQ_CFLAGS"], [AC_MSG_ERROR([$CC does not take -std=gnu11: a C11 compiler is required])])
GQ_TRY_CFLAGS([GQ_CFLAGS], [-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Wno-format-nonliteral -Wvla])
AC_ARG_ENABLE([werror],
  [AS_HELP_STRING([--enable-werror], [make warnings errors (for developers and CI)])], [], [enable_werror=no])
GQ_REQUIRE_YES_OR_NO([werror])
AS_IF([test $enable_werror = yes], [GQ_CFLAGS="$GQ_CFLAGS -Werror"])
GQ_LIB_CFLAGS=
GQ_TRY_CFLAGS([GQ_LIB_CFLAGS], [-fvisibility=hidden])
GQ_LIB_LDFLAGS=
GQ_TRY_LDFLAGS([GQ_LIB_LDFLAGS], ["-Wl,--version-script=$srcdir/lib/libgpuqueue.map"])
AM_CONDITIONAL([HAVE_VERSION_SCRIPT], [test -n "$GQ_LIB_LDFLAGS"])
AC_SUBST([GQ_CFLAGS])
AC_SUBST([GQ_LIB_CFLAGS])
])

# GQ_SANITIZERS: --enable-tsan, --enable-asan.
AC_DEFUN([GQ_SANITIZERS], [
# On the command line, for they must hold in every file. Empty, as files that define it themselves do.
GQ_DEFINES="-D_GNU_SOURCE="
AC_SUBST([GQ_DEFINES])
GQ_SANITIZE=
AS_IF([test $enable_tsan = yes], [
  GQ_SANITIZE="-fsanitize=thread"
  # ThreadSanitizer does not see what inline assembly or vector instructions store: ring cells use 8-byte atomics.
  GQ_DEFINES="$GQ_DEFINES -DGQ_UNIT_BYTES_FORCED=8"
])
AS_IF([test $enable_asan = yes], [GQ_SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined"])
AS_IF([test -n "$GQ_SANITIZE"], [
  gq_saved_cflags=$CFLAGS
  CFLAGS="$CFLAGS $GQ_SANITIZE"
  AC_MSG_CHECKING([whether $CC links with $GQ_SANITIZE])
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([$CC cannot link with $GQ_SANITIZE: install its sanitizer libraries])])
  CFLAGS=$gq_saved_cflags
  GQ_SANITIZE="$GQ_SANITIZE -fno-omit-frame-pointer -g"
])
AC_SUBST([GQ_SANITIZE])
AM_CONDITIONAL([SANITIZED], [test -n "$GQ_SANITIZE"])
])
