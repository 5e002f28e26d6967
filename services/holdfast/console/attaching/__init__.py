"""A volume as a disk of this host: by the kernel's nbd driver, or as a file by nbdfuse."""
