"""The seams' other side, one module each: `seam_technology.py`. No foreign exception leaves."""
