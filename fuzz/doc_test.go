// Package fuzz holds the fuzz targets, one for each thing that comes from
// outside the process.
package fuzz
