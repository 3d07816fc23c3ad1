/* What of Windows' own pyconfig.h the limited API looks at, on a 64-bit system: the sizes of C's
 * types, and how names are imported. Included before Python.h, in place of this machine's. */
#ifndef Py_PYCONFIG_H
#define Py_PYCONFIG_H

#include <io.h>

#define MS_WINDOWS
#define MS_WIN32
#define MS_WIN64
#define HAVE_DECLSPEC_DLL
#define HAVE_STDDEF_H 1
#define HAVE_WCHAR_H 1

#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_WCHAR_T 2

#endif
