// Package plot draws line charts as SVG, with nothing but text: a few axes, a legend, and lines that can be told apart without colours too.
package plot
