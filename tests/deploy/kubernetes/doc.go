// Package kubernetes holds deploy/kubernetes to what it says: each object is built, decoded strictly by the API's own Go
// types, and held to the profile "restricted", to the objects that it names, and to the files that it repeats. It is a
// module of its own, so that the API's types are no dependency of the library.
package kubernetes
